"""Learning rate schedules: factors of the optimizer's rate as functions of the step."""

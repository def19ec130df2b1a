"""goodfit: versioned data, composed configuration, honest evaluation, tracked runs, one command."""

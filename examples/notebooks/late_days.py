"""Which days were late? Its marked cells are a pipeline: `drls notebook save late_days.py --name late_days`."""

import marimo

app = marimo.App()


@app.cell
def _():
    # drls: pipeline {description: Days on which the mean delay was above a quarter of an hour, automation: on_new_data}
    import marimo as mo
    import pyarrow as pa
    import pyarrow.compute as pc

    import drls_dagster as drls

    return drls, mo, pa, pc


@app.cell
def _(drls):
    # drls: source
    delays = drls.read("flights.daily_delays", env="development").to_arrow()
    return (delays,)


@app.cell
def _(delays, mo):
    # drls: sql
    days = mo.sql(
        """
        SELECT day, CAST(sum(flights) AS bigint) AS flights, sum(mean_delay * flights) / sum(flights) AS mean_delay
        FROM delays
        GROUP BY day
        """,
        output=False,
    )
    return (days,)


@app.cell
def _(days, pa, pc):
    # drls: ray {output_schema: {day: date, flights: long, mean_delay: double, late: boolean}}
    # drls: sink {table: flights.late_days, mode: overwrite}
    # drls: check {kind: not_null, columns: [day, late]}
    # drls: check {kind: unique, columns: [day]}
    _days = pa.table(days)  # here a DataFrame; in the pipeline rows arrive as pyarrow.Table
    late_days = _days.append_column("late", pc.greater(_days["mean_delay"], 15))
    return (late_days,)


@app.cell
def _(late_days, mo):
    mo.ui.table(late_days, selection=None)


if __name__ == "__main__":
    app.run()

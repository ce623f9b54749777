"""For each airline the longest run of consecutive punctual days, the first one where there are several."""

from datetime import timedelta

import pyarrow as pa
from calendars import consecutive

from drls_dagster import custom

with custom.step() as step:
    limit = step.parameters["minutes"]
    rows = step.table("days").sort_by([("carrier", "ascending"), ("day", "ascending")]).to_pylist()
    longest: dict[str, tuple[int, object]] = {}
    for carrier in sorted({row["carrier"] for row in rows}):
        days = [row["day"] for row in rows if row["carrier"] == carrier and row["mean_delay"] < limit]
        found = [(len(streak), -streak[0].toordinal(), streak[0]) for streak in consecutive(days, timedelta(days=1))]
        if found:
            length, _, first = max(found)
            longest[carrier] = (length, first)
    carriers = {row["carrier"] for row in rows}
    step.check("every_airline", passed=carriers == longest.keys(), metadata={"airlines": len(carriers)})
    step.report(limit=limit)
    step.write(
        pa.table(
            {
                "carrier": list(longest),
                "first_day": [first for _, first in longest.values()],
                "days": [length for length, _ in longest.values()],
            }
        )
    )

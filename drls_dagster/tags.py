"""The names under which DRLS marks runs, steps and assets in Dagster. Callers can set them: no rule reads a run's."""

PIPELINE_TAG, VERSION_TAG, ENVIRONMENT_TAG = "drls/pipeline", "drls/version", "drls/environment"
# The node of a step, in its own tags: a sink's asset key has its table.
NODE_TAG = "drls/node"
# The version as people call it, for lists of runs; VERSION_TAG has the digest.
RELEASE_TAG = "drls/release"
# The value of VERSION_TAG and RELEASE_TAG for a pipeline file that nobody saved.
DRAFT = "draft"
# Runs of one pipeline and environment go one after another; the coordinator's limit is by this tag's value.
LANE_TAG = "drls/lane"
# On a run that did nothing: it is nobody's last run.
REFUSED_TAG = "drls/refused"
# On the steps that look after tables, and their job. They are of no pipeline: no pipeline's name has a capital.
MAINTENANCE_TAG, MAINTENANCE, MAINTENANCE_STEP = "drls/maintenance", "Maintenance", "look_after_tables"
# Why a sensor launched a run; it finds its own runs by it.
REASON_TAG = "drls/reason"

"""What all tests share. A gate that is red by chance stops everybody: Hypothesis draws the same each time."""

from hypothesis import HealthCheck, settings

# Deadlines and the database would make a test depend on the machine and on what ran there before.
settings.register_profile(
    "gate",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("gate")

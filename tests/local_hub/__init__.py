"""The parts of the local Hub that `hub_fixture` serves."""

"""The JSON face of what may run, and what every JSON face of the house shares (`resource`, `fields`)."""

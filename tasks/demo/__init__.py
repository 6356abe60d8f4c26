"""The demo: one folder a task, its manifest (`task.json`) and its source. They are planned at the first start, in this order,
and they are also real tests of the house."""

ORDER = ("summarise_csv", "release_assistant", "long_import", "flaky_gateway", "log_fountain")

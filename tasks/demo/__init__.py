"""The demo: one folder a task, its manifest (`task.json`) and its source. They are planned at the first start, and they are
also real tests of the house."""

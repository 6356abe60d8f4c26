"""The demo: one folder a task, its manifest (`task.json`) and its source. Those of ORDER are planned at the first start, in
this order; PARTS are what some of them run as their children. They are also real tests of the house."""

ORDER = (
    "summarise_csv",
    "release_assistant",
    "long_import",
    "flaky_gateway",
    "log_fountain",
    "order_processing",
    "onboarding",
)
PARTS = (
    "order_processing/validate",
    "order_processing/payment",
    "order_processing/stock",
    "order_processing/mail",
    "order_processing/label",
    "order_processing/warehouse",
    "order_processing/refuse",
    "onboarding/check",
    "onboarding/accounts",
    "onboarding/orientation",
)

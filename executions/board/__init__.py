"""The board and its pages, as HTML: what happened, and the buttons that call verbs."""

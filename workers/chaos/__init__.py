"""`manage.py chaos`: the faults of docs/reliability.md, done to a scratch house, and what the promise was worth afterwards.

`actions` is the work it is given, `load` gives it, `houses` stands it up and has hands to hurt it, `faults` chooses which
(seeded), `proof` reads what the database says afterwards; `measures` lists the rows of docs/measures.md that come of it.
"""

import time

import runboard

SYSTEMS = ("mail", "code", "payroll")


def account(system, name, seconds):
    time.sleep(seconds)
    return f"{name.split()[0].lower()}@{system}"


@runboard.task
def provision(name="Grace Hopper", seconds=0.5, close=False):
    accounts = []
    for done, system in enumerate(SYSTEMS, start=1):
        accounts.append(runboard.step(f"{'close' if close else 'make'} {system}", account, system, name, seconds))
        runboard.progress(done / len(SYSTEMS), accounts[-1])
    return {"accounts": accounts}

import time

import runboard

CHECKS = ("changelog", "migrations", "smoke tests")


def check(name, version):
    runboard.log.info(f"checking the {name} of {version}")
    time.sleep(0.3)
    return "ok"


@runboard.task
def release(version="2.4.1"):
    for number, name in enumerate(CHECKS):
        runboard.progress(number / 5, f"Check the {name}")
        runboard.step(f"check-{name.replace(' ', '-')}", check, name, version)
    decision = runboard.ask(
        f"Deploy {version} to production?",
        options=[
            {"value": "deploy", "label": "Deploy now", "consequence": "All users get it within a minute."},
            {"value": "canary", "label": "Canary first", "consequence": "One user in twenty gets it."},
            {"value": "hold", "label": "Hold", "consequence": "Nothing changes; the release stays ready."},
        ],
        recommended="canary",
    )
    if decision == "hold":
        runboard.log.info("held back, as you said")
        return {"version": version, "deployed": False, "decision": decision}
    runboard.progress(0.8, f"Deploy {version} ({decision})")
    runboard.step("deploy", check, f"rollout ({decision})", version)
    return {"version": version, "deployed": True, "decision": decision}

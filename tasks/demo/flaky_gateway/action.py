"""A registered action: the operator's own code, run unsandboxed in a helper process of the worker."""

from __future__ import annotations

import runboard


@runboard.task(name="demo.flaky_gateway")
def call(failures: int = 2) -> dict[str, int]:
    """Answers 503 to the first `failures` attempts."""
    attempt = runboard.context.attempt
    runboard.log.info(f"calling the gateway, attempt {attempt}")
    if attempt <= failures:
        raise runboard.Retryable(f"503 Service Unavailable (answer {attempt} of {failures})")
    return {"status": 200, "tries": attempt}

import json
from pathlib import Path

from django.conf import settings as ours
from django.core.management import call_command
from pytest_django import Settings

# As in production, but for the compression, which takes as long as everything else here.
UNCOMPRESSED = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


def test_every_file_of_the_tree_can_be_collected_under_a_name_with_its_hash(tmp_path: Path, settings: Settings) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {**ours.STORAGES, "staticfiles": {"BACKEND": UNCOMPRESSED}}
    call_command("collectstatic", interactive=False, verbosity=0)
    names = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    tree = ours.BASE_DIR / "static"
    own = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert own <= set(names)
    assert all(names[name] != name and (tmp_path / names[name]).exists() for name in own)

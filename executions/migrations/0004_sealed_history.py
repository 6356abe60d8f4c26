"""Histories are sealed from here on. What was written before carries no seal, so an anchor vouches for it as it is now:
without one a blank seal would be refused, and with one it cannot be forged."""

from itertools import groupby
from operator import attrgetter

from django.db import migrations, models
from django.utils import timezone

COLUMNS = ("execution_id", "seq", "kind", "at", "standing", "actor", "reason", "data", "hash")
PART = 5_000


def vouch(apps, editor):
    """Anchor every history there is by a digest of its events."""
    from executions.history import anchors
    from executions.models import EventRow

    events = apps.get_model("executions", "Event").objects.order_by("execution_id", "seq").values_list(*COLUMNS)
    rows, entries, last, now = (EventRow(*row) for row in events.iterator(chunk_size=1000)), [], None, timezone.now()
    for pk, history in groupby(rows, key=attrgetter("execution_id")):
        told = list(history)
        entries.append(f"{pk} {told[-1].seq} {anchors.digest_of(told)}")
        if len(entries) == PART:
            last, entries = anchors.write("unsealed", entries, since=None, until=now, previous=last), []
    if entries:
        anchors.write("unsealed", entries, since=None, until=now, previous=last)


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0003_durable'),
    ]

    operations = [
        migrations.CreateModel(
            name='Anchor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('heads', 'Heads'), ('unsealed', 'Unsealed')], default='heads', max_length=10)),
                ('since', models.DateTimeField(null=True)),
                ('until', models.DateTimeField()),
                ('entries', models.TextField(blank=True)),
                ('previous', models.CharField(blank=True, max_length=64, unique=True)),
                ('signature', models.CharField(max_length=64, unique=True)),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='Tombstone',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(unique=True)),
                ('task', models.CharField(max_length=100)),
                ('lineage', models.UUIDField()),
                ('run', models.PositiveIntegerField()),
                ('parent', models.UUIDField(null=True)),
                ('state', models.CharField(max_length=12)),
                ('created_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField()),
                ('last_seq', models.PositiveIntegerField()),
                ('head', models.CharField(blank=True, max_length=64)),
                ('why', models.CharField(max_length=200)),
                ('pruned_at', models.DateTimeField()),
                ('signature', models.CharField(max_length=64)),
            ],
            options={
                'ordering': ('number',),
            },
        ),
        migrations.AddField(
            model_name='event',
            name='standing',
            field=models.CharField(blank=True, default='', max_length=60),
        ),
        migrations.RunPython(vouch, migrations.RunPython.noop),
    ]

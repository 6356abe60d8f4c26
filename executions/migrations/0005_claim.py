from django.db import migrations, models

CLAIMABLE = ["pending", "resuming"]
LIVE = ["cancelling", "paused", "pending", "preparing", "resuming", "running", "waiting"]
READY = models.Q(state__in=CLAIMABLE, available_at=None)
LATER = models.Q(state__in=CLAIMABLE, available_at__isnull=False)


class Migration(migrations.Migration):

    dependencies = [
        ("executions", "0004_sealed_history"),
        ("tasks", "0002_queues_and_limits"),
    ]

    operations = [
        migrations.AddField("attempt", "rated_task", models.PositiveBigIntegerField(null=True)),
        migrations.AddIndex(
            "attempt",
            models.Index(
                fields=["rated_task", "-claimed_at"], name="rated", condition=models.Q(rated_task__isnull=False)
            ),
        ),
        migrations.RemoveIndex("execution", "claim_order"),
        migrations.AddIndex(
            "execution", models.Index(fields=["queue", "rank", "id"], name="claim_order", condition=READY)
        ),
        migrations.AddIndex(
            "execution", models.Index(fields=["queue", "task", "rank", "id"], name="claim_by_task", condition=READY)
        ),
        migrations.AddIndex(
            "execution", models.Index(fields=["queue", "available_at"], name="claim_later", condition=LATER)
        ),
        migrations.AddIndex(
            "execution",
            models.Index(
                fields=["task", "limit_key", "queue", "priority", "rank"],
                name="live_by_key",
                condition=models.Q(state__in=LIVE, limit_key__gt=""),
            ),
        ),
    ]

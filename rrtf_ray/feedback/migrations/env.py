"""What Alembic runs for each migration; `database.py` hands it the connection."""

from alembic import context

from rrtf_ray.feedback.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

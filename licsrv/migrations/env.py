"""Alembic's entrance; the connection is handed over by :func:`licsrv.migrations.upgrade`.

SQLite: one transaction for all steps, which the caller owns. PostgreSQL: one for each step, which a step may leave to
make an index CONCURRENTLY.
"""

from alembic import context

from licsrv.migrations import METADATA

connection = context.config.attributes["connection"]
is_step_wise = connection.dialect.name == "postgresql"
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=is_step_wise,
    transaction_per_migration=is_step_wise,
)
with context.begin_transaction():
    context.run_migrations()

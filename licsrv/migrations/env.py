"""Alembic's entrance; the connection is handed over by :func:`licsrv.migrations.upgrade`."""

from alembic import context

from licsrv.migrations import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=False,  # the caller owns the transaction
)
context.run_migrations()

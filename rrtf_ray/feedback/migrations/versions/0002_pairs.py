"""Pairs to ask, who was given them, and what the tests say of the programs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "results",
        sa.Column("problem_id", sa.String(255), primary_key=True),
        sa.Column("digest", sa.String(32), primary_key=True),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("passed", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "pairs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("problem_id", sa.String(255), nullable=False),
        sa.Column("first", sa.String(32), nullable=False),
        sa.Column("second", sa.String(32), nullable=False),
        sa.Column("pair_set", sa.String(255), nullable=False),
        sa.Column("language", sa.String(32), nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
        sa.Column("base", sa.Float, nullable=False),
        sa.Column("priority", sa.Float, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("free", sa.Integer, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.UniqueConstraint("problem_id", "first", "second", name="one_row_a_pair"),
    )
    places_left = sa.text("free > 0")
    op.create_index(
        "pairs_to_ask",
        "pairs",
        ["pair_set", "arm", sa.text("priority DESC"), "number"],
        sqlite_where=places_left,
        postgresql_where=places_left,
    )
    op.create_table(
        "assignments",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("pair", sa.Integer, nullable=False),
        sa.Column("annotator", sa.String(255), nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
        sa.Column("left", sa.String(32), nullable=False),
        sa.Column("right", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due", sa.Integer, nullable=False),
        sa.Column("leased_at", sa.Float, nullable=False),
        sa.Column("saw_tests", sa.Boolean, nullable=False),
        sa.Column("vote_id", sa.String(64)),
        sa.UniqueConstraint("pair", "annotator", "arm", name="one_row_an_annotator"),
    )
    op.create_index("assignments_by_annotator", "assignments", ["annotator", "state"])
    op.create_index("assignments_by_lease", "assignments", ["state", "leased_at"])

"""Problems, programs, votes and retractions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "problems",
        sa.Column("problem_id", sa.String(255), primary_key=True),
        sa.Column("prompt", sa.Text, nullable=False),
    )
    op.create_table(
        "programs",
        sa.Column("problem_id", sa.String(255), primary_key=True),
        sa.Column("digest", sa.String(32), primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
    )
    op.create_table(
        "votes",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(64), nullable=False, unique=True),
        sa.Column("problem_id", sa.String(255), nullable=False, index=True),
        sa.Column("left", sa.String(32), nullable=False),
        sa.Column("right", sa.String(32), nullable=False),
        sa.Column("choice", sa.String(16), nullable=False),
        sa.Column("annotator", sa.String(255), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("rubric", sa.String(64), nullable=False),
        sa.Column("saw_tests", sa.Boolean, nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
    )
    op.create_index("votes_by_annotator", "votes", ["annotator"])
    op.create_table(
        "retractions",
        sa.Column("vote_id", sa.String(64), primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
    )

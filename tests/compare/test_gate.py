"""A policy's verdicts, and what is said of a policy that cannot be used."""

import pytest

from rrtf_ray.compare.gate import Policy, Rule, Verdict, judge, load_policy, worst
from rrtf_ray.compare.records import Compared
from rrtf_ray.core.metrics import Estimate
from rrtf_ray.core.paired import Finding
from rrtf_ray.errors import ConfigError


def compared(low, high, draw="greedy", arm="b", baseline=0.5):
    difference = Estimate((low + high) / 2, low, high)
    value = Estimate(baseline, baseline - 0.05, baseline + 0.05)
    return Compared(arm, draw, 1, 164, value, value, {}, Finding(difference, 0.5, "bootstrap", 0.1), 0.5)


def verdict(*cases):
    """Of rules with a limit of one point, each with its own draw: (tier, low, high)."""
    rules = tuple(Rule(metric="pass@1", draw=f"d{i}", tier=t, max_drop=0.01) for i, (t, _, _) in enumerate(cases))
    figures = [compared(low, high, f"d{i}") for i, (_, low, high) in enumerate(cases)]
    return judge(Policy(rules=rules), figures, "policy.yaml")[0].verdict.value


WORSE, UNCLEAR, FINE = (-0.05, -0.02), (-0.03, 0.01), (-0.009, 0.02)


def test_a_critical_drop():
    assert verdict(("critical", *WORSE)) == "block"
    assert verdict(("critical", *UNCLEAR)) == "inconclusive"
    assert verdict(("critical", *FINE)) == "pass"
    assert verdict(("critical", *FINE), ("critical", *UNCLEAR), ("critical", *WORSE)) == "block"


def test_supporting_drops_block_together():
    assert verdict(("supporting", *WORSE)) == "pass"
    assert verdict(("supporting", *WORSE), ("supporting", *WORSE)) == "block"
    assert verdict(("supporting", *WORSE), ("supporting", *UNCLEAR)) == "inconclusive"
    assert verdict(("supporting", *WORSE), ("supporting", *FINE)) == "pass"


def test_advice_never_blocks():
    assert verdict(("advisory", *WORSE), ("advisory", *WORSE)) == "pass"


def test_the_smaller_of_two_limits():
    assert Rule(metric="pass@1", draw="d", max_drop=0.01).limit(0.5) == 0.01
    assert Rule(metric="pass@1", draw="d", max_relative_drop=0.05).limit(0.5) == pytest.approx(0.025)
    assert Rule(metric="pass@1", draw="d", max_drop=0.01, max_relative_drop=0.05).limit(0.1) == pytest.approx(0.005)


def test_the_worst_arm_counts():
    policy = Policy(rules=(Rule(metric="pass@1", draw="greedy", max_drop=0.01),))
    figures = [compared(*FINE, arm="a"), compared(*WORSE, arm="b"), compared(*UNCLEAR, arm="c")]
    gates = judge(policy, figures, "policy.yaml")
    assert [gate.verdict.value for gate in gates] == ["pass", "block", "inconclusive"]
    assert worst(gates) is Verdict.BLOCK
    assert [v.exit_code for v in (Verdict.PASS, Verdict.BLOCK, Verdict.INCONCLUSIVE)] == [0, 3, 4]


def test_a_rule_for_what_was_not_compared(tmp_path):
    policy = Policy(rules=(Rule(metric="pass@10", draw="greedy", max_drop=0.01),))
    with pytest.raises(
        ConfigError, match=r"p\.yaml: rules\.0: pass@10 of the draw 'greedy' .*there is pass@1 of greedy"
    ):
        judge(policy, [compared(*FINE)], "p.yaml")


GOOD = "rules:\n  - metric: pass@1\n    draw: greedy\n    tier: critical\n    max_drop: 0.01\n"


def test_a_policy_of_a_file(tmp_path):
    (tmp_path / "policy.yaml").write_text(GOOD)
    (rule,) = load_policy(str(tmp_path / "policy.yaml")).rules
    assert (rule.metric, rule.draw, rule.tier, rule.max_drop) == ("pass@1", "greedy", "critical", 0.01)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("pass@1", "pass1"), r"policy\.yaml:2: rules\.0\.metric='pass1'"),
        (GOOD.replace("critical", "vital"), r"policy\.yaml:4: rules\.0\.tier='vital'.*'critical', 'supporting'"),
        (GOOD.replace("max_drop", "max_dorp"), r"policy\.yaml:5: unknown key 'rules\.0\.max_dorp'.*'max_drop'"),
        (GOOD.replace("0.01", "1.5"), r"policy\.yaml:5: rules\.0\.max_drop=1\.5"),
        (GOOD.replace("0.01", "-0.1"), r"policy\.yaml:5: rules\.0\.max_drop=-0\.1"),
        (GOOD.replace("0.01", ".nan"), r"policy\.yaml:5: rules\.0\.max_drop=nan"),
        (GOOD.replace("0.01", "'1%'"), r"policy\.yaml:5: rules\.0\.max_drop='1%'"),
        (GOOD.replace("    max_drop: 0.01\n", ""), r"policy\.yaml:2: rules\.0: a rule needs max_drop or max_relative"),
        (GOOD.replace("    draw: greedy\n", ""), r"policy\.yaml:2: rules\.0\.draw: field required"),
        ("rules: []\n", r"policy\.yaml:1: rules"),
        ("", r"rules: field required"),
        ("- metric: pass@1\n", r"policy\.yaml holds a list, not a mapping with the keys rules"),
        ("rules: [", r"policy\.yaml is not valid YAML"),
    ],
)
def test_policies_that_cannot_be_used(tmp_path, text, says):
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_policy(str(tmp_path / "policy.yaml"))

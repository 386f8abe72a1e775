from rrtf_ray.config import Config, resolved
from rrtf_ray.identity import fingerprint, stable_seed


def test_fingerprint_depends_on_values_only():
    config, other = resolved(Config()), resolved(Config(seed=1))
    assert fingerprint(config, 1) == fingerprint(dict(reversed(config.items())), 1)
    assert len({fingerprint(config, 1), fingerprint(other, 1), fingerprint(config, 2)}) == 3


def test_a_seed_is_the_same_in_every_process():
    assert stable_seed(3, "HumanEval/0", 1) == 2007666447

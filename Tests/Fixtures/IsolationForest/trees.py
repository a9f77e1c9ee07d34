"""Writes trees.json: forests fitted by scikit-learn, with rows and the scores it gives them.

    python Tests/Fixtures/IsolationForest/trees.py

Needs scikit-learn (made with 1.9.1). Rows are Float32, as scikit-learn itself reads them; some lie exactly on
thresholds and on their neighbours. Thresholds are its Float64 ones: who reads them rounds them down to Float32.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.ensemble import IsolationForest


def data_sets():
    rng = np.random.default_rng(20260101)
    mixed = rng.normal(size=(400, 5))
    mixed[:, 1] = np.exp(mixed[:, 1])
    mixed[:, 2] *= 1e6
    yield "mixed", mixed, 64
    steps = rng.integers(0, 4, size=(300, 4)).astype(float)
    steps[:, 3] = 7
    yield "ties and a constant", steps, 256
    yield "fewer rows than the sample", rng.normal(size=(20, 3)), 256
    yield "tiny numbers", rng.normal(size=(200, 2)) * 1e-36, 32


def exported(tree):
    return {
        "feature": tree.feature.tolist(),
        "threshold": tree.threshold.tolist(),
        "left": tree.children_left.tolist(),
        "right": tree.children_right.tolist(),
        "rows": tree.n_node_samples.tolist(),
    }


def forest(name, data, sample):
    data = data.astype(np.float32)
    size = min(sample, len(data))
    model = IsolationForest(n_estimators=20, max_samples=size, random_state=1).fit(data)
    assert all(list(f) == list(range(data.shape[1])) for f in model.estimators_features_)
    rows = [data[:40]]
    for tree in model.estimators_[:5]:
        tree = tree.tree_
        for node in np.flatnonzero(tree.children_left >= 0)[:4]:
            at = np.float32(tree.threshold[node])
            for value in (np.nextafter(at, np.float32(-np.inf)), at, np.nextafter(at, np.float32(np.inf))):
                row = data[node % len(data)].copy()
                row[tree.feature[node]] = value
                rows.append(row[None])
    rows = np.concatenate(rows + [np.full((1, data.shape[1]), 3e38, np.float32)])
    return {
        "name": name,
        "sampleSize": size,
        "trees": [exported(estimator.tree_) for estimator in model.estimators_],
        "rows": rows.astype(float).tolist(),
        "scores": (-model.score_samples(rows)).tolist(),
    }


folder = pathlib.Path(__file__).parent
forests = [forest(*arguments) for arguments in data_sets()]
result = {"scikit-learn": sklearn.__version__, "forests": forests}
(folder / "trees.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")

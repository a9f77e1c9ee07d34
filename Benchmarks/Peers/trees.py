"""Tree models of scikit-learn and LightGBM, and how long they take to score with them on one core.

    python trees.py prepare FOLDER    fits the models, writes them, their input and their scores
    python trees.py forest FOLDER     prints the seconds that scikit-learn takes for the isolation forest
    python trees.py boosted FOLDER    prints the seconds that LightGBM takes for its two models
"""

import json
import os
import pathlib
import pickle
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

FOREST_ROWS, FOREST_FEATURES = 200_000, 16
BOOSTED_ROWS, BOOSTED_FEATURES, TRAINING_ROWS = 100_000, 30, 200_000


def forest_input():
    data = np.random.default_rng(1).normal(size=(FOREST_ROWS, FOREST_FEATURES))
    data[:, 8:] = np.exp(data[:, 8:])
    return data.astype(np.float32)


def boosted_input():
    """Normal, log-normal, categorical and counted features, and a target made of some of them."""
    rng = np.random.default_rng(2)
    data = rng.normal(size=(TRAINING_ROWS, BOOSTED_FEATURES))
    data[:, 10:20] = np.exp(data[:, 10:20])
    data[:, 20:25] = rng.integers(0, 8, size=(TRAINING_ROWS, 5))
    data[:, 25:] = rng.poisson(3, size=(TRAINING_ROWS, 5))
    data = data.astype(np.float32)
    target = (
        data[:, 0] * 2 + np.sin(data[:, 1] * 2) + np.log1p(data[:, 10]) * data[:, 2] + data[:, 3] * data[:, 4]
        + 0.3 * data[:, 20] * (data[:, 25] > 2) + rng.normal(size=TRAINING_ROWS) / 2
    )
    return data, target


def flat(tree):
    """A tree of LightGBM as parallel arrays, children behind their parents; a missing value counts as zero."""
    nodes = {"feature": [], "threshold": [], "left": [], "right": [], "missingLeft": [], "value": [], "rows": []}

    def add(node):
        index = len(nodes["feature"])
        leaf = "leaf_value" in node
        nodes["feature"].append(-1 if leaf else node["split_feature"])
        nodes["threshold"].append(0 if leaf else node["threshold"])
        nodes["missingLeft"].append(not leaf and node["threshold"] >= 0)
        nodes["value"].append(node["leaf_value"] if leaf else 0)
        nodes["rows"].append(node.get("leaf_count", 0))
        nodes["left"].append(0)
        nodes["right"].append(0)
        if not leaf:
            assert node["decision_type"] == "<=" and node["missing_type"] == "None"
            nodes["left"][index] = add(node["left_child"])
            nodes["right"][index] = add(node["right_child"])
        return index

    add(tree["tree_structure"])
    return nodes


def prepare(folder):
    import lightgbm
    from sklearn.ensemble import IsolationForest

    data = forest_input()
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=0, n_jobs=1).fit(data)
    trees = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        trees.append({
            "feature": np.where(leaf, -1, tree.feature).tolist(), "threshold": np.where(leaf, 0, tree.threshold).tolist(),
            "left": tree.children_left.clip(0).tolist(), "right": tree.children_right.clip(0).tolist(),
            "missingLeft": [False] * len(leaf), "value": [0] * len(leaf), "rows": tree.n_node_samples.tolist(),
        })
    (folder / "forest.json").write_text(json.dumps([{"trees": trees}]))
    np.ascontiguousarray(data.T).tofile(folder / "forest.input")
    (-forest.score_samples(data)).tofile(folder / "forest.scores")
    (folder / "forest.pickle").write_bytes(pickle.dumps(forest))

    data, target = boosted_input()
    models = []
    for number, objective in enumerate(({"objective": "regression"}, {"objective": "quantile", "alpha": 0.9})):
        settings = dict(objective, num_leaves=31, num_threads=1, verbose=-1, seed=1, deterministic=True)
        model = lightgbm.train(settings, lightgbm.Dataset(data.astype(np.float64), target), 300)
        model.save_model(folder / f"boosted-{number}.txt")
        models.append(model)
    exported = [{"trees": [flat(tree) for tree in model.dump_model()["tree_info"]]} for model in models]
    (folder / "boosted.json").write_text(json.dumps(exported))
    data = data[:BOOSTED_ROWS]
    np.ascontiguousarray(data.T).tofile(folder / "boosted.input")
    np.concatenate([model.predict(data, num_threads=1) for model in models]).tofile(folder / "boosted.scores")


def seconds(work):
    least = 1e9
    for _ in range(3):
        start = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - start)
    print(least)


def time_forest(folder):
    forest = pickle.loads((folder / "forest.pickle").read_bytes())
    data = forest_input()
    seconds(lambda: forest.score_samples(data))


def time_boosted(folder):
    import lightgbm

    models = [lightgbm.Booster(model_file=folder / f"boosted-{number}.txt") for number in range(2)]
    data = boosted_input()[0][:BOOSTED_ROWS]
    seconds(lambda: [model.predict(data, num_threads=1) for model in models])


if __name__ == "__main__":
    {"prepare": prepare, "forest": time_forest, "boosted": time_boosted}[sys.argv[1]](pathlib.Path(sys.argv[2]))

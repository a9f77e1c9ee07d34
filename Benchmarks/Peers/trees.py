"""Tree models of scikit-learn and LightGBM, and how long they and ONNX Runtime take to score with them on one core.

    python trees.py prepare FOLDER    fits the models, writes them, their input and their scores
    python trees.py forest FOLDER     prints the seconds that scikit-learn takes for the isolation forest
    python trees.py boosted FOLDER    prints the seconds that LightGBM takes for its two models
    python trees.py forest-onnx FOLDER, boosted-onnx FOLDER    the same of ONNX Runtime
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


def float_below(value):
    """The largest float that is not above a double: the same floats are at or below it."""
    nearest = np.float32(value)
    return float(nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(-np.inf)))


def write_onnx(path, trees, features):
    """The sum of the trees' leaves as one TreeEnsembleRegressor, the operator that models are exported with."""
    from onnx import TensorProto, helper, save

    names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    columns = {name: [] for name in names}
    tracks, targets = [], {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees):
        for node, feature in enumerate(tree["feature"]):
            leaf = feature < 0
            values = (
                number, node, max(feature, 0), float_below(tree["threshold"][node]), "LEAF" if leaf else "BRANCH_LEQ",
                tree["left"][node], tree["right"][node])
            for name, value in zip(columns, values):
                columns[name].append(value)
            tracks.append(int(tree["missingLeft"][node]))
            if leaf:
                for name, value in zip(targets, (number, node, 0, float(tree["value"][node]))):
                    targets[name].append(value)
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1, nodes_missing_value_tracks_true=tracks,
        **{f"nodes_{name}": values for name, values in columns.items()},
        **{f"target_{name}": values for name, values in targets.items()})
    graph = helper.make_graph(
        [node], "trees", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 3)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def path_length(rows):
    return 0.0 if rows < 2 else 1.0 if rows == 2 else 2 * (np.log(rows - 1) + 0.5772156649) - 2 * (rows - 1) / rows


def with_path_lengths(tree):
    """Leaves with the length of the path to them, as an isolation forest has it."""
    depths = [0] * len(tree["feature"])
    for node, feature in enumerate(tree["feature"]):
        if feature >= 0:
            depths[tree["left"][node]] = depths[tree["right"][node]] = depths[node] + 1
    values = [depth + path_length(rows) for depth, rows in zip(depths, tree["rows"])]
    return dict(tree, value=values)


def session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


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
    write_onnx(folder / "forest.onnx", [with_path_lengths(tree) for tree in trees], FOREST_FEATURES)
    sums = session(folder / "forest.onnx").run(None, {"x": data})[0][:, 0]
    assert np.allclose(2 ** (-sums / (100 * path_length(256))), -forest.score_samples(data), atol=1e-5)

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
    for number, model in enumerate(models):
        write_onnx(folder / f"boosted-{number}.onnx", exported[number]["trees"], BOOSTED_FEATURES)
        found = session(folder / f"boosted-{number}.onnx").run(None, {"x": data})[0][:, 0]
        assert np.allclose(found, model.predict(data, num_threads=1), rtol=1e-4, atol=1e-4)
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


def time_forest_onnx(folder):
    forest, data = session(folder / "forest.onnx"), forest_input()
    seconds(lambda: forest.run(None, {"x": data}))


def time_boosted_onnx(folder):
    models = [session(folder / f"boosted-{number}.onnx") for number in range(2)]
    data = boosted_input()[0][:BOOSTED_ROWS]
    seconds(lambda: [model.run(None, {"x": data}) for model in models])


if __name__ == "__main__":
    steps = {
        "prepare": prepare, "forest": time_forest, "boosted": time_boosted, "forest-onnx": time_forest_onnx,
        "boosted-onnx": time_boosted_onnx,
    }
    steps[sys.argv[1]](pathlib.Path(sys.argv[2]))

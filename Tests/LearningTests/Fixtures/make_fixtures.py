# Makes the models that stand for those users bring, with inputs and what scikit-learn itself says to them. Run by hand;
# the result is committed: python3 make_fixtures.py
#   needs: numpy 2.4.6, scikit-learn 1.9.1, skl2onnx 1.20.0, onnx 1.23.2
import json
import pathlib

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder = pathlib.Path(__file__).parent
random = np.random.default_rng(7)
rows = random.normal(size=(400, 4)).astype(np.float32)
rows[::9, 2] = np.nan

# Imputer, scaler and a small isolation forest: outputs `label` (int64) and `scores` (float).
forest = make_pipeline(
    SimpleImputer(), StandardScaler(), IsolationForest(n_estimators=5, max_samples=32, random_state=1)
).fit(rows)
(folder / "scikit_forest.onnx").write_bytes(
    to_onnx(forest, rows[:1], target_opset={"": 17, "ai.onnx.ml": 3}).SerializeToString())

# A classifier whose probabilities are numbers, and the same with maps, which cannot be read.
labels = (np.nan_to_num(rows).sum(axis=1) > 0).astype(np.int64)
classifier = make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows, labels)
for name, zipmap in (("scikit_classifier.onnx", False), ("scikit_maps.onnx", True)):
    (folder / name).write_bytes(
        to_onnx(
            classifier, rows[:1], options={"zipmap": zipmap}, target_opset={"": 17, "ai.onnx.ml": 3}
        ).SerializeToString())

sample = np.concatenate([rows[:20], random.normal(scale=5, size=(12, 4)).astype(np.float32)])
(folder / "scikit_expected.json").write_text(json.dumps({
    "rows": [[None if np.isnan(value) else float(value) for value in row] for row in sample],
    "scores": [float(value) for value in forest.decision_function(sample)],
    "labels": [int(value) for value in forest.predict(sample)],
    "probabilities": [[float(value) for value in row] for row in classifier.predict_proba(sample)],
}, indent=1) + "\n")

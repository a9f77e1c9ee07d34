"""Writes adbench.json: how well scikit-learn's isolation forest ranks the outliers of labelled data sets.

    python Tests/Fixtures/IsolationForest/adbench.py FOLDER

FOLDER holds the classical sets of ADBench as Parquet, with columns x0, x1, ... and is_outlier. For each set: area under
the ROC curve over the whole set, 100 trees, 256 rows per tree, raw features as Float32, seeds 0 to 9. Needs
scikit-learn (made with 1.9.1) and pyarrow.
"""

import json
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq
import sklearn
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

SEEDS = 10


def areas(path):
    table = pq.read_table(path)
    outlier = table["is_outlier"].to_numpy()
    names = [name for name in table.column_names if name != "is_outlier"]
    data = np.column_stack([table[name].to_numpy() for name in names]).astype(np.float32)
    for seed in range(SEEDS):
        model = IsolationForest(n_estimators=100, max_samples=min(256, len(data)), random_state=seed).fit(data)
        yield roc_auc_score(outlier, -model.score_samples(data))


sets = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.parquet")):
    values = np.array(list(areas(path)))
    sets[path.stem] = {"mean": round(values.mean(), 6), "deviation": round(values.std(ddof=1), 6)}
    print(path.stem, sets[path.stem], file=sys.stderr)
result = {"scikit-learn": sklearn.__version__, "seeds": SEEDS, "sets": sets}
(pathlib.Path(__file__).parent / "adbench.json").write_text(json.dumps(result, indent=1) + "\n")

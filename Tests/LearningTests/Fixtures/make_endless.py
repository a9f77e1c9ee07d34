# Makes endless.onnx, a model that never answers: a loop of 2^62 rounds. Run by hand; the result is committed.
#   needs: onnx 1.23.2
import pathlib

from onnx import TensorProto, checker, helper

matrix = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 4])]
scores = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 1])]


def scalar(name, kind):
    return helper.make_tensor_value_info(name, kind, [])


body = helper.make_graph(
    [helper.make_node("Add", ["before", "one"], ["after"]), helper.make_node("Identity", ["go"], ["goes"])],
    "body",
    [scalar("round", TensorProto.INT64), scalar("go", TensorProto.BOOL), scalar("before", TensorProto.FLOAT)],
    [scalar("goes", TensorProto.BOOL), scalar("after", TensorProto.FLOAT)],
    [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
)
graph = helper.make_graph(
    [
        helper.make_node("Loop", ["rounds", "yes", "zero"], ["counted"], body=body),
        helper.make_node("ReduceSum", ["X", "axis"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "counted"], ["scores"]),
    ],
    "endless",
    matrix,
    scores,
    [
        helper.make_tensor("rounds", TensorProto.INT64, [], [1 << 62]),
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
checker.check_model(model)
(pathlib.Path(__file__).parent / "endless.onnx").write_bytes(model.SerializeToString())

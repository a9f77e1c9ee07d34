// ONNX Runtime for Swift: opened at run time, a handful of plain functions over the first version of its C API.
//
// Invariants:
// - Nothing is linked: the library is found by `onnx_library_open`, so a program without it starts and runs.
// - A call that fails returns 0 (or NULL) and leaves a sentence in the caller's `message`; nothing is leaked.
// - A library, once open, stays open until the process ends. A session may be run by any number of threads at once;
//   it is closed once, when no thread runs it.
#ifndef CONNXRUNTIME_H
#define CONNXRUNTIME_H

#include <stddef.h>
#include <stdint.h>

typedef struct onnx_library onnx_library;
typedef struct onnx_session onnx_session;
// The handle by which one run can be ended from another thread.
typedef struct onnx_run onnx_run;

// Where a failed call leaves what went wrong, ended by a zero byte and cut to fit.
typedef struct onnx_message {
  char text[1024];
} onnx_message;

// Numbers of element types in the ONNX format; those that can be converted to floats.
enum {
  ONNX_TYPE_NONE = 0,  // not a tensor, for example a sequence of maps
  ONNX_TYPE_FLOAT = 1,
  ONNX_TYPE_INT32 = 6,
  ONNX_TYPE_INT64 = 7,
  ONNX_TYPE_BOOL = 9,
  ONNX_TYPE_DOUBLE = 11
};

enum { ONNX_MAX_DIMENSIONS = 8 };

// Name, element type and shape of an input or output. `name` lives as long as the session. A dimension that is not
// fixed is -1. `rank` may exceed ONNX_MAX_DIMENSIONS; then only the first ones are given.
typedef struct onnx_value_info {
  const char *name;
  int32_t type;
  size_t rank;
  int64_t shape[ONNX_MAX_DIMENSIONS];
} onnx_value_info;

// Opens the library at `path` as the dynamic loader finds it.
onnx_library *onnx_library_open(const char *path, onnx_message *message);
// Its version, for example "1.31.1".
const char *onnx_library_version(const onnx_library *library);

// Opens a model held in memory (copied). `threads` is how many threads one run may use, 1 for the caller's alone.
// `provider` is an execution provider by its name in the library's exports ("CUDA"); NULL for the processor.
onnx_session *onnx_session_open(
    onnx_library *library, const void *model, size_t model_size, int threads, const char *provider,
    onnx_message *message);
void onnx_session_close(onnx_session *session);

size_t onnx_session_input_count(const onnx_session *session);
size_t onnx_session_output_count(const onnx_session *session);
// The information of input or output `index`, which must be below the count.
const onnx_value_info *onnx_session_input(const onnx_session *session, size_t index);
const onnx_value_info *onnx_session_output(const onnx_session *session, size_t index);

onnx_run *onnx_run_open(onnx_library *library, onnx_message *message);
// Asks for an end: the run fails before its next node, of a loop's body too. May be called from any thread, also when the
// run has ended or not begun, but not once the handle is closed.
void onnx_run_terminate(onnx_run *run);
void onnx_run_close(onnx_run *run);

// Runs the model on a row-major matrix of `rows` * `columns` floats given to input 0, and writes output `output` as
// floats: `rows` * `width` of them, into `result`. An output of another size is an error that says its size. `run` is a
// handle for this one run.
int onnx_session_run(
    onnx_session *session, onnx_run *run, const float *matrix, size_t rows, size_t columns, size_t output, float *result,
    size_t width, onnx_message *message);

#endif

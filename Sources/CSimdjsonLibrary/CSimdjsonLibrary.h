// Declares nothing: this target exists so that SwiftPM asks pkg-config for the flags of simdjson and hands them to
// the C++ shim that depends on it. simdjson itself is C++ and cannot be imported by Swift.

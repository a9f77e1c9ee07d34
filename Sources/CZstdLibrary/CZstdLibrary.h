// Declares nothing: this target exists so that SwiftPM asks pkg-config for the flags of libzstd and hands them to the C
// shim that depends on it.

// Declares nothing: this target exists so that SwiftPM asks pkg-config for the flags of Arrow and Parquet and hands
// them to the C++ shim that depends on it. The libraries are C++ and cannot be imported by Swift.

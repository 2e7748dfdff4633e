//! Compiles `capture.proto` with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=src/capture.proto");
    let descriptors = protox::compile(["src/capture.proto"], ["src"])?;
    // Few ends have a start inside: the others need not have room for one.
    let boxed = ".verbatim.capture.v1.End.start";
    prost_build::Config::new().bytes(["."]).boxed(boxed).compile_fds(descriptors)?;
    Ok(())
}

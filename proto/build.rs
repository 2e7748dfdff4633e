//! Compiles `capture.proto` with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=src/capture.proto");
    let descriptors = protox::compile(["src/capture.proto"], ["src"])?;
    // Few ends have a start inside: the others need not have room for one.
    let boxed = ".verbatim.capture.v1.End.start";
    // What is a slice of something larger shares its memory. What is a few bytes of its own is a `Vec`: encoding a `Bytes`
    // clones it, which is an allocation the first time.
    let shared = ["Envelope.packed", "Header", "Start.version", "Head.version", "Piece.data"];
    let shared = shared.map(|name| format!(".verbatim.capture.v1.{name}"));
    prost_build::Config::new().bytes(shared).boxed(boxed).compile_fds(descriptors)?;
    Ok(())
}

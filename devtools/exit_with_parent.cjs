// Loaded into Azurite (node --require): its standard input is a pipe that the parent holds, so it
// ends when the parent does, even one killed with SIGKILL, and no emulator is left running.
process.stdin.resume();
process.stdin.unref();
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));

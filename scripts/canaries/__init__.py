"""Plants canaries (made-up secrets and private sentences) in every input, and looks for them in every store."""

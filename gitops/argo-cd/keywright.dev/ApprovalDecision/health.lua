-- One vote. It is what it is, and has no status.
return { status = "Healthy", message = obj.spec.verdict }

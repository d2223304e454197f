-- It says who must agree, and has no status.
return { status = "Healthy", message = "" }

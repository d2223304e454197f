-- Any value of this annotation that was not there before asks for one renewal.
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["keywright.dev/renew"] = os.date("!%Y-%m-%dT%XZ")
return obj

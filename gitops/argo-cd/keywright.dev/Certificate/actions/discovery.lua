-- While one renewal is under way another one would be the same.
local busy = false
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Reconciling" and condition.status == "True" then
      busy = true
    end
  end
end
return { renew = { disabled = busy, displayName = "Renew now" } }

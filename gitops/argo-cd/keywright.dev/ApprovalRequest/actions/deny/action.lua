-- Makes the one vote of Argo CD's own account on this request: an ApprovalDecision, which admission stamps with who made it.
-- Its name must follow from the request's UID and the voter's username by SHA-256. Argo CD gives scripts neither `string`
-- nor `math`, and Lua 5.1 has no operators on bits. The same text for approve and deny, but for this line:
local verdict = "Deny"
-- The account that Argo CD's API server acts with. configmap.sh takes another one as its argument.
local voter = "system:serviceaccount:argocd:argocd-server"

-- Numbers of the characters that UIDs and names of ServiceAccounts are made of.
local numbers = { ["\n"] = 10, ["-"] = 45, ["."] = 46, [":"] = 58 }
for digit = 0, 9 do
  numbers[tostring(digit)] = 48 + digit
end
for index, letter in ipairs({
  "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
}) do
  numbers[letter] = 96 + index
end

-- What is left to take a text apart with is comparison: of all characters that can follow what is known of it, the
-- greatest that does not exceed it is the next one.
local function bytes_of(text)
  local known, bytes = "", {}
  while #known < #text do
    local next_one
    for letter, number in pairs(numbers) do
      if known .. letter <= text and (next_one == nil or number > numbers[next_one]) then
        next_one = letter
      end
    end
    if next_one == nil then
      break
    end
    known = known .. next_one
    bytes[#bytes + 1] = numbers[next_one]
  end
  if known ~= text then
    error("the voter must be a ServiceAccount, system:serviceaccount:NAMESPACE:NAME, and this request must have a UID: " .. text)
  end
  return bytes
end

-- A function of the bits of up to three 32-bit numbers, place by place.
local function bitwise(on_bits, a, b, c)
  local result, weight = 0, 1
  for _ = 1, 32 do
    local x, y, z = a % 2, b % 2, c % 2
    result = result + on_bits(x, y, z) * weight
    a = (a - x) / 2
    b = (b - y) / 2
    c = (c - z) / 2
    weight = weight * 2
  end
  return result
end
local function xor(x, y, z)
  return (x + y + z) % 2
end
local function choose(x, y, z)
  return x * y + (1 - x) * z
end
local function majority(x, y, z)
  return x * y + z * ((x + y) % 2)
end

local WORD = 2 ^ 32
local function shift(number, by)
  return (number - number % 2 ^ by) / 2 ^ by
end
local function rotate(number, by)
  return shift(number, by) + (number % 2 ^ by) * 2 ^ (32 - by)
end
local function mixed(number, first, second, third)
  return bitwise(xor, rotate(number, first), rotate(number, second), third)
end

-- FIPS 180-4, section 4.2.2.
local rounds = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}

-- SHA-256 as eight 32-bit numbers.
local function sha256(bytes)
  local state = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  }
  local length = #bytes * 8
  bytes[#bytes + 1] = 128
  while #bytes % 64 ~= 56 do
    bytes[#bytes + 1] = 0
  end
  for place = 7, 0, -1 do
    bytes[#bytes + 1] = shift(length, 8 * place) % 256
  end
  for block = 0, #bytes - 64, 64 do
    local words = {}
    for index = 1, 64 do
      if index <= 16 then
        local at = block + 4 * index
        words[index] = ((bytes[at - 3] * 256 + bytes[at - 2]) * 256 + bytes[at - 1]) * 256 + bytes[at]
      else
        local early, late = words[index - 15], words[index - 2]
        words[index] = (words[index - 16] + mixed(early, 7, 18, shift(early, 3)) + words[index - 7]
          + mixed(late, 17, 19, shift(late, 10))) % WORD
      end
    end
    local a, b, c, d, e, f, g, h = unpack(state)
    for index = 1, 64 do
      local first = h + mixed(e, 6, 11, rotate(e, 25)) + bitwise(choose, e, f, g) + rounds[index] + words[index]
      local second = mixed(a, 2, 13, rotate(a, 22)) + bitwise(majority, a, b, c)
      -- One by one: the interpreter inside Argo CD assigns to several variables at once in the wrong order.
      h = g
      g = f
      f = e
      e = (d + first) % WORD
      d = c
      c = b
      b = a
      a = (first + second) % WORD
    end
    for index, value in ipairs({ a, b, c, d, e, f, g, h }) do
      state[index] = (state[index] + value) % WORD
    end
  end
  return state
end

-- The first 32 hexadecimal digits of the hash of UID, newline and username.
local digits = { [0] = "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f" }
local name = "vote-"
for index, word in ipairs(sha256(bytes_of(obj.metadata.uid .. "\n" .. voter))) do
  for place = 28, 0, -4 do
    if index <= 4 then
      name = name .. digits[shift(word, place) % 16]
    end
  end
end

local decision = {
  apiVersion = "keywright.dev/v1alpha1",
  kind = "ApprovalDecision",
  metadata = { name = name, namespace = obj.metadata.namespace },
  spec = {
    requestRef = { name = obj.metadata.name, uid = obj.metadata.uid },
    effectDigest = obj.spec.effectDigest,
    verdict = verdict,
    reason = "by an action of Argo CD, whose own log names the person",
  },
}
return { { operation = "create", resource = decision } }

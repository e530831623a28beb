-- Sixteen requests in one write, for wrk: `wrk -s pipeline.lua URL`.
local batch

function init()
   local one = wrk.format("GET", nil, { ["Host"] = "a" })
   batch = string.rep(one, 16)
end

function request()
   return batch
end

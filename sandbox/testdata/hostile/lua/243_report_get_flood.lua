while true do report.get("Package") report.names() end

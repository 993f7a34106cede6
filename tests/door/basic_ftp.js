// Node's basic-ftp with its defaults: `node basic_ftp.js VERB HOST PORT USER PASSWORD AUTHORITY REMOTE LOCAL`.
// AUTHORITY is the certificate to trust; empty: no TLS.
const fs = require("fs")
const { Client } = require("basic-ftp")

const [verb, host, port, user, password, authority, remote, local] = process.argv.slice(2)

async function main() {
    const client = new Client(20_000)
    const options = { host, port: Number(port), user, password }
    if (authority) {
        options.secure = true
        options.secureOptions = { ca: fs.readFileSync(authority) }
    }
    try {
        await client.access(options)
        if (verb === "list") for (const entry of await client.list(remote)) console.log(entry.name)
        else if (verb === "get") await client.downloadTo(local, remote)
        else await client.uploadFrom(local, remote)
    } finally {
        client.close()
    }
}

main().catch((error) => {
    console.error(error)
    process.exit(1)
})

// Node's basic-ftp with its defaults: `node basic_ftp.js VERB HOST PORT USER PASSWORD AUTHORITY REMOTE LOCAL TARGET OFFSET`.
// AUTHORITY is the certificate to trust; empty: no TLS.
const fs = require("fs")
const { Client } = require("basic-ftp")

const [verb, host, port, user, password, authority, remote, local, target, offset] = process.argv.slice(2)

const verbs = {
    list: async (client) => {
        for (const entry of await client.list(remote)) console.log(entry.name)
    },
    get: (client) => client.downloadTo(local, remote),
    put: (client) => client.uploadFrom(local, remote),
    "resume get": (client) => client.downloadTo(fs.createWriteStream(local, { flags: "a" }), remote, fs.statSync(local).size),
    "resume put": (client) => client.appendFrom(local, remote, { localStart: Number(offset) }),
    rename: (client) => client.rename(remote, target),
    delete: (client) => client.remove(remote),
}

async function main() {
    const client = new Client(20_000)
    const options = { host, port: Number(port), user, password }
    if (authority) {
        options.secure = true
        options.secureOptions = { ca: fs.readFileSync(authority) }
    }
    try {
        await client.access(options)
        await verbs[verb](client)
    } finally {
        client.close()
    }
}

main().catch((error) => {
    console.error(error)
    process.exit(1)
})

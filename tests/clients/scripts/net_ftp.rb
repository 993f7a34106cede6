# Ruby's net/ftp with its defaults: VERB HOST PORT USER PASSWORD AUTHORITY REMOTE LOCAL TARGET OFFSET.
require "net/ftp"

verb, host, port, user, password, authority, remote, local, target, _offset = ARGV
options = { port: port.to_i, username: user, password: password, open_timeout: 20, read_timeout: 20 }
options[:ssl] = { ca_file: authority } unless authority.empty?
Net::FTP.open(host, **options) do |ftp|
  case verb
  when "list" then puts ftp.nlst(remote)
  when "get" then ftp.getbinaryfile(remote, local)
  when "put" then ftp.putbinaryfile(local, remote)
  when "resume get"
    ftp.resume = true
    ftp.getbinaryfile(remote, local)
  when "resume put"
    ftp.resume = true
    ftp.putbinaryfile(local, remote)
  when "rename" then ftp.rename(remote, target)
  when "delete" then ftp.delete(remote)
  end
end

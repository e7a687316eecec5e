# connect.rb NAME PORT COUNT: a connection by TCPSocket, COUNT times.

require "socket"

ARGV[2].to_i.times { TCPSocket.new(ARGV[0], ARGV[1]).close }

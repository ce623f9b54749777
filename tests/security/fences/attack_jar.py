"""A jar with a class that SQL calls, in Spark's own processes: no filter of a pipeline's code is around it.

Spark brings a compiler for Java, so that nothing has to be installed for it.
"""

from __future__ import annotations

import io
import zipfile

from tests.security.spark_jvm import running_java

SOURCE = """
public class Attack {
    public static String ran(String command) throws Exception {
        Process started = new ProcessBuilder(new String[] {"sh", "-c", command}).start();
        return new String(started.getInputStream().readAllBytes());
    }
    public static String read(String path) {
        try {
            return new String(java.nio.file.Files.readAllBytes(java.nio.file.Paths.get(path, new String[0])));
        } catch (Exception refused) {
            return null;
        }
    }
    public static String connected(String path) {
        try {
            java.nio.channels.SocketChannel.open(java.net.UnixDomainSocketAddress.of(path)).close();
            return path;
        } catch (Exception refused) {
            return null;
        }
    }
}
"""


def made_jar() -> bytes:
    """The content of the jar."""
    with running_java() as java:
        compiler = java.jvm.org.codehaus.janino.SimpleCompiler()
        compiler.cook(SOURCE)
        classes = compiler.getBytecodes()
        jar = io.BytesIO()
        with zipfile.ZipFile(jar, "w") as made:
            for name in classes:
                made.writestr(f"{name}.class", bytes(classes[name]))
    return jar.getvalue()
